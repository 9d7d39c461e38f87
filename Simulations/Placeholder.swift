// Placeholder until the first story lands.
