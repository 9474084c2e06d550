"""Is it wanted? Checks of arriving mail with weights, one explained verdict per message, and what they learn from.

`judge.py` asks the checks and comes to a `verdict.py`; `trainer.py` learns from what people do with their mail;
`sending.py` watches what our own accounts send. Meets `inbound` only through functions that `house.py` passes in.
"""
