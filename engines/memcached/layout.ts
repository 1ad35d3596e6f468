/**
 * Where the fields of memcached 1.6.18's structs lie (memcached.h: `item`, `item_chunk`). All are byte offsets from the
 * struct's start; pointers are 8 bytes wide of which the low 4 hold an arena offset. Values are little-endian.
 */

/** `next` in its LRU, or in the free list of its class. */
export const ITEM_NEXT = 0;
export const ITEM_PREV = 8;
/** Next item in the same hash bucket. */
export const ITEM_H_NEXT = 16;
/** Time of the last access, relative seconds, u32. */
export const ITEM_TIME = 24;
/** Relative seconds at which it expires, u32, 0 never. */
export const ITEM_EXPTIME = 28;
/** Bytes of the value including its `\r\n`, i32. */
export const ITEM_NBYTES = 32;
/** u16. 1 for being linked, 1 for each command or reply under way that holds it. */
export const ITEM_REFCOUNT = 36;
/** u16, FLAG_… below. */
export const ITEM_FLAGS = 38;
/** u8: slab class in the low 6 bits, LRU in the high 2. */
export const ITEM_CLSID = 40;
/** u8. */
export const ITEM_NKEY = 41;
/** sizeof(item): the CAS id (8 bytes, if FLAG_CAS), key, NUL, client flags (4 bytes, if FLAG_CFLAGS) and value follow. */
export const ITEM_HEADER_BYTES = 48;

/** In a chunk, h_next's place holds the item that it belongs to. */
export const CHUNK_HEAD = 16;
/** Bytes of data that fit, i32. */
export const CHUNK_SIZE = 24;
/** Bytes of data that are there, i32. */
export const CHUNK_USED = 28;
/** u8: slab class of the memory that holds an item's own (header) chunk. */
export const CHUNK_ORIG_CLSID = 41;
/** Data begins behind the fields, not behind the padding. */
export const CHUNK_DATA = 42;
/** sizeof(item_chunk). */
export const CHUNK_HEADER_BYTES = 48;

export const FLAG_LINKED = 1;
export const FLAG_CAS = 2;
export const FLAG_SLABBED = 4;
export const FLAG_FETCHED = 8;
export const FLAG_ACTIVE = 16;
/** An item whose value lies in chunks. */
export const FLAG_CHUNKED = 32;
/** A chunk of such an item. */
export const FLAG_CHUNK = 64;
/** Client flags other than 0 are stored. */
export const FLAG_CFLAGS = 256;
/** A client has been told that it is to fill this item anew. */
export const FLAG_TOKEN_SENT = 512;
/** The value is out of date, but may be answered until somebody has renewed it. */
export const FLAG_STALE = 2_048;
/** The key was sent in Base64, and is to be answered so. */
export const FLAG_KEY_BINARY = 4_096;

export const LRU_HOT = 0;
export const LRU_WARM = 64;
export const LRU_COLD = 128;
export const LRU_TEMP = 192;
/** Masks of ITEM_CLSID. */
export const CLASS_MASK = 63;
export const LRU_MASK = 192;

/** Slab classes are 1 … 63; LRU ids (class | LRU_…) are 0 … 255. */
export const CLASS_COUNT = 64;
export const LRU_COUNT = 256;

export const KEY_BYTES_MAX = 250;
