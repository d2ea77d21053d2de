"""What the fault suite is made of: a proxy that reads the wire, children, seams and checks."""
