"""What the TLS verifiers of this machine make of the CA: each is a program that is asked, name by name."""
