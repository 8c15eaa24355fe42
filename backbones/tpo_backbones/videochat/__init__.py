"""VideoChat-TPO, the model that the paper's authors published: UMT-L, a Q-Former and Mistral."""
