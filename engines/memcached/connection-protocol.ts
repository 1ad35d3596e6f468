/** Protocol of a connection: decided by its first byte unless the server was told with -B. */
export const PROTOCOL_UNKNOWN = 0;
export const PROTOCOL_ASCII = 1;
export const PROTOCOL_BINARY = 2;
