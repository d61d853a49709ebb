CREATE TABLE books (
    isbn        text PRIMARY KEY,
    title       text NOT NULL,
    author      text NOT NULL,
    price_cents bigint NOT NULL CHECK (price_cents >= 0),
    stock       integer NOT NULL CHECK (stock >= 0)
);
