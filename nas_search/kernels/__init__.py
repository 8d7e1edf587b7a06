"""What is computed in another way than the library's, chosen by shape and device by measurement."""
