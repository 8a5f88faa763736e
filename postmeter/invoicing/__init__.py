"""Tax invoices with gap-free numbers."""
