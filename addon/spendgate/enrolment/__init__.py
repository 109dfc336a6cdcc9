"""Enrolment over HTTPS: the company's side that signs for whoever shows a credential, and the laptop's side that asks.

credentials   who may enrol and who may renew: decisions, and what proves that a key is there (pure)
messages      the messages of EST (RFC 7030), as far as they fit (pure)
books         the company's: credentials, devices, and a line for each thing that was issued; SQLite
office        one question: decided, signed and written down in one transaction
server        who may connect, how long, and how much; tornado
shown         the office's own certificate: a renewed one is shown without a restart
asking        the laptop's questions; httpx2
laptop        what a laptop does with the answer, and what it keeps for its next question
"""
