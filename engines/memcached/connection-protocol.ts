/** Protocol of a connection: decided by its first byte unless the server was told with -B. */
export const PROTOCOL_UNKNOWN = 0;
export const PROTOCOL_ASCII = 1;
export const PROTOCOL_BINARY = 2;
/** ASCII, from a client that has not shown yet who it is. */
export const PROTOCOL_ASCII_AUTH = 3;
