/**
 * The numbers of memcached's binary protocol: header layout, opcodes and status codes (protocol_binary.h). Shared by
 * the server's parser and the client side codec.
 *
 * A header is 24 bytes, big-endian: magic u8, opcode u8, key length u16, extras length u8, data type u8, then in a
 * request the vbucket and in a response the status u16, body length u32 (extras + key + value), opaque u32, CAS u64.
 */

export const BINARY_HEADER_BYTES = 24;
export const MAGIC_REQUEST = 0x80;
export const MAGIC_RESPONSE = 0x81;

export const OP_GET = 0x00;
export const OP_SET = 0x01;
export const OP_ADD = 0x02;
export const OP_REPLACE = 0x03;
export const OP_DELETE = 0x04;
export const OP_INCREMENT = 0x05;
export const OP_DECREMENT = 0x06;
export const OP_QUIT = 0x07;
export const OP_FLUSH = 0x08;
export const OP_GETQ = 0x09;
export const OP_NOOP = 0x0a;
export const OP_VERSION = 0x0b;
export const OP_GETK = 0x0c;
export const OP_GETKQ = 0x0d;
export const OP_APPEND = 0x0e;
export const OP_PREPEND = 0x0f;
export const OP_STAT = 0x10;
export const OP_SETQ = 0x11;
export const OP_ADDQ = 0x12;
export const OP_REPLACEQ = 0x13;
export const OP_DELETEQ = 0x14;
export const OP_INCREMENTQ = 0x15;
export const OP_DECREMENTQ = 0x16;
export const OP_QUITQ = 0x17;
export const OP_FLUSHQ = 0x18;
export const OP_APPENDQ = 0x19;
export const OP_PREPENDQ = 0x1a;
export const OP_VERBOSITY = 0x1b;
export const OP_TOUCH = 0x1c;
export const OP_GAT = 0x1d;
export const OP_GATQ = 0x1e;
export const OP_SASL_LIST_MECHS = 0x20;
export const OP_SASL_AUTH = 0x21;
export const OP_SASL_STEP = 0x22;
export const OP_GATK = 0x23;
export const OP_GATKQ = 0x24;

export const STATUS_SUCCESS = 0x00;
export const STATUS_KEY_ENOENT = 0x01;
export const STATUS_KEY_EEXISTS = 0x02;
export const STATUS_E2BIG = 0x03;
export const STATUS_EINVAL = 0x04;
export const STATUS_NOT_STORED = 0x05;
export const STATUS_DELTA_BADVAL = 0x06;
export const STATUS_AUTH_ERROR = 0x20;
export const STATUS_AUTH_CONTINUE = 0x21;
export const STATUS_UNKNOWN_COMMAND = 0x81;
export const STATUS_ENOMEM = 0x82;
