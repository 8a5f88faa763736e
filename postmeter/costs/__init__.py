"""What providers bill us, beside what customers were charged."""
