"""What every room stands on: errors, registries, evaluations, files, devices."""
