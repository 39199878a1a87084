"""Operations per picture, from the layers and from the backend."""
