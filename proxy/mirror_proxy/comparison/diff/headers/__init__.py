"""Header fields of a pair: values in one form (`header_value`), cookies by name and attribute, and what differs."""
