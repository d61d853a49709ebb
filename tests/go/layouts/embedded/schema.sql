CREATE TABLE book (isbn text);
