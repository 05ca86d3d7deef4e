"""The JSON API `/v1`. `app.py` is the list of its endpoints; nothing in here decides, it only translates."""
