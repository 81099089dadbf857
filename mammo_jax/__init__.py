"""How far can mammograms be compressed before deep learning gets worse?"""
