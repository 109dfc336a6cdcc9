"""What an MDM pushes to laptops, made of one small file: profiles, settings, scripts, and the page for the people."""
