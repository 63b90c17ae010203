"""What the policy file says, and what holds for a user."""
