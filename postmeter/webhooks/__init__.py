"""Telling customers' systems what happened to their credit (Standard Webhooks)."""
