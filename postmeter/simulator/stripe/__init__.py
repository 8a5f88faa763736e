"""A payment gateway that speaks the part of Stripe's API that Postmeter uses, hosted pages included."""
