// What an image is on this machine: a program that is installed here, chosen by the last part of the image's name. A local cluster
// pulls nothing; an image that is not in this list is refused by name.

import Base
import Linux
import Nodes
import Platform

/// The programs of this project.
public struct WeftPrograms: Sendable {
    public var proxy: String
    public var controller: String
    public var initializer: String

    /// Those in one directory, as a build leaves them. Refused when one is missing.
    public init(directory: String) throws(Refusal) {
        proxy = "\(directory)/weft-proxy"
        controller = "\(directory)/weft-controller"
        initializer = "\(directory)/weft-init"
        for path in [proxy, controller, initializer] where ChildProcess.find(path, searchPath: "") == nil {
            throw Refusal("\(path) is not there: build it with `swift build`")
        }
    }
}

enum Images {
    /// `alpine/socat:1.8.0.3` is `socat`.
    static func name(_ image: String) -> String {
        let last = image.split(separator: "/").last ?? ""
        return String(last.prefix { $0 != ":" && $0 != "@" })
    }

    /// The program of a container, without its place. `write` puts a file below the pod's /run.
    static func program(_ container: PodContainer, write: (_ path: String, _ text: String) throws(Refusal) -> Void) throws(Refusal) -> ChildProgram {
        let environment = container.environment + [("PATH", ChildProcess.systemPath)]
        switch name(container.image) {
        case "nginx":
            // The image's server as the demonstration needs it: it tells the caller whom it takes it for, gives bodies back, and logs both.
            try write("nginx/nginx.conf", nginxConfiguration)
            return ChildProgram(path: try installed("nginx", package: "nginx-light"), arguments: ["-c", "/run/nginx/nginx.conf", "-e", "/run/nginx/error.log"], environment: environment)
        case "socat":
            return ChildProgram(path: try installed("socat", package: "socat"), arguments: container.arguments, environment: environment)
        case "curl":
            // A place from which curl is run; the container's own command would only add noise.
            return ChildProgram(path: "/bin/sleep", arguments: ["infinity"], environment: environment)
        default: throw Refusal("image \(container.image) is no program of this machine; there are nginx, socat and curl")
        }
    }

    static func installed(_ name: String, package: String) throws(Refusal) -> String {
        guard let path = ChildProcess.find(name, searchPath: ChildProcess.systemPath) else { throw Refusal("\(name) is not installed: apt-get install \(package)") }
        return path
    }

    /// `return` never reads a body, so a POST goes through a second server on loopback that says what it was told.
    private static let nginxConfiguration = """
        user www-data;
        worker_processes 1;
        daemon off;
        pid /run/nginx/nginx.pid;
        error_log /run/nginx/error.log warn;
        events { worker_connections 128; }
        http {
            log_format told '$request_method $request_uri $status $http_l5d_client_id';
            access_log off;
            client_body_temp_path /run/nginx/body;
            proxy_temp_path /run/nginx/proxy;
            fastcgi_temp_path /run/nginx/fastcgi;
            uwsgi_temp_path /run/nginx/uwsgi;
            scgi_temp_path /run/nginx/scgi;
            default_type text/plain;
            keepalive_timeout 30s;
            server {
                listen 80;
                access_log /run/nginx/access.log told;
                location / {
                    if ($request_method = POST) { rewrite ^ /posted last; }
                    return 200 "hello, $http_l5d_client_id\\n";
                }
                location = /posted {
                    internal;
                    proxy_pass http://127.0.0.1:8079;
                    proxy_set_header x-posted $request_body;
                }
            }
            server {
                listen 127.0.0.1:8079;
                location / { return 200 "$http_x_posted"; }
            }
        }
        """
}
