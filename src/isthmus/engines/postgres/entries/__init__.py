"""What the store does in the database: versioned entries that expire.

tables          the table, and the functions that change it
puts            the puts of one call
"""
