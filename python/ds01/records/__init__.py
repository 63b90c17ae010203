"""What is remembered: documents, container records, the event log, the passes."""
