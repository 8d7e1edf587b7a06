"""The foundation of all rooms: errors, registries, evaluations, files, devices."""
