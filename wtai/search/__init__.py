"""Search in what people said and in who they are: an index that is filled behind, and read together with what it has not yet."""
