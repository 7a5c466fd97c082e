"""What each type of state does when a frame enters it, one file each."""
