"""Networks that run several candidates at once: the candidates of a layer's input, and routing."""
