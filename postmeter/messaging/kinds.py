"""What a message is for. Pure."""

AD_HOC = "ad_hoc"
ANSWER = "answer"  # ours, to STOP, HELP or START: free, and the one thing that may follow an opt-out
