/** The bytes in RDB files that are no types of values. */
export const OPCODE_FUNCTION = 245;
/** Of release candidates of 7.0; not read any more. */
export const OPCODE_FUNCTION_PRE_GA = 246;
export const OPCODE_MODULE_AUX = 247;
export const OPCODE_IDLE = 248;
export const OPCODE_FREQUENCY = 249;
export const OPCODE_AUX = 250;
export const OPCODE_RESIZE_DB = 251;
export const OPCODE_EXPIRE_MS = 252;
export const OPCODE_EXPIRE_SECONDS = 253;
export const OPCODE_SELECT_DB = 254;
export const OPCODE_EOF = 255;
