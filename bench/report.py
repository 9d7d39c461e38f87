"""What a run has found: tables for people, ratios for whoever watches them, and goals with what became of them."""

import statistics


class Report:
    def __init__(self):
        self.lines = []
        self.ratios = []
        #: Name, what it must be at most, what it is.
        self.goals = []

    def say(self, *paragraph):
        for line in paragraph:
            print(line, flush=True)
            self.lines.append(line)

    def title(self, text):
        self.say("", f"## {text}", "")

    def table(self, header, rows):
        widths = [max(len(str(row[i])) for row in [header] + rows) for i in range(len(header))]
        for row in [header, ["-" * w for w in widths]] + rows:
            self.say("| " + " | ".join(str(cell).ljust(w) for cell, w in zip(row, widths)) + " |")
        self.say("")

    def ratio(self, name, value, at_most=None, at_least=None):
        self.ratios.append((name, value))
        if at_most is not None or at_least is not None:
            is_reached = value <= at_most if at_most is not None else value >= at_least
            self.goals.append((name, value, f"at most {at_most}" if at_most is not None else f"at least {at_least}", is_reached))

    def verdict(self):
        """Every goal, reached or not."""
        self.title("Goals")
        rows = [[name, f"{value:.3f}", goal, "reached" if is_reached else "**not reached**"] for name, value, goal, is_reached in self.goals]
        self.table(["what", "value", "goal", ""], rows)

    def finish(self):
        for name, value in self.ratios:
            print(f"ratio {name} {value:.3f}")


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}..{max(values):.{digits}f})"


def ratio(values, others):
    """Of two proxies: the median over the rounds, each of which held for both what else the machine did."""
    return statistics.median(a / b for a, b in zip(values, others))
