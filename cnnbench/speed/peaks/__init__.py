"""What a backend reaches at best on a device: the limits that speeds are compared with."""
