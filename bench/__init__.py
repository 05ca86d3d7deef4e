"""What is fast, measured against peers and floors in the same run. Ratios are the result; absolute times are not."""
