"""Networks that run several candidates at once: whose samples a layer sees, and where they go."""
