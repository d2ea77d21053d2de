"""What goes and what stays: deletion, pruning, archives and their restoration."""
