"""What holds for every test."""

from hypothesis import settings

# A deadline would measure the machine: an example that loads the price book first, beside other work, takes a second.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
