/**
 * Compression of the inner nodes of a list. A list whose depth is d leaves d nodes at each end uncompressed. A compressed node that must
 * be read is decompressed, marked, and compressed again when the reader is done. Where memory for compressing or decompressing cannot be
 * had, a node stays as it is: every reader copes with either form.
 */
import { ARENA_EXHAUSTED, type Heap } from './heap.ts';
import { lzfCompress, lzfDecompress } from './lzf.ts';
import {
  ENTRY,
  FLAGS,
  LZF_HEADER_BYTES,
  NODE_DONT_COMPRESS,
  NODE_LZF,
  NODE_RECOMPRESS,
  nodeEntry,
  nodeIsCompressed,
  nodeLzfLength,
  nodeLzfOffset,
  nodeNext,
  nodePrev,
  nodeSize,
  quicklistDepth,
  quicklistHead,
  quicklistNodes,
  quicklistTail,
} from './quicklist-node.ts';

/** The compressor may write so far beyond its room. */
const LZF_SLACK_BYTES = 40;
/** Shorter entries are not compressed, and the gain must be more than MIN_COMPRESS_GAIN. */
const MIN_COMPRESS_BYTES = 48;
const MIN_COMPRESS_GAIN = 8;

/** Compresses a node's entry if that gains something. */
function compressEntry(h: Heap, node: number): void {
  const flags = h.u8[node + FLAGS];
  if ((flags & NODE_DONT_COMPRESS) !== 0) return;
  h.u8[node + FLAGS] = flags & ~NODE_RECOMPRESS;
  const size = nodeSize(h, node);
  if (size < MIN_COMPRESS_BYTES || nodePrev(h, node) === 0 || nodeNext(h, node) === 0) return;
  const room = h.allocator.alloc(size + LZF_SLACK_BYTES);
  if (room === 0) return;
  const length = lzfCompress(h.u8, nodeEntry(h, node), size, room, size);
  const packed = length === 0 || length + MIN_COMPRESS_GAIN >= size ? 0 : h.allocator.alloc(LZF_HEADER_BYTES + length);
  if (packed !== 0) {
    h.u32[packed >>> 2] = length;
    h.u32[(packed + 4) >>> 2] = 0;
    h.copy(room, packed + LZF_HEADER_BYTES, length);
    h.free(nodeEntry(h, node));
    h.u32[(node + ENTRY) >>> 2] = packed;
    h.u8[node + FLAGS] |= NODE_LZF;
  }
  h.free(room);
}

function compressNode(h: Heap, node: number): void {
  if (node !== 0 && !nodeIsCompressed(h, node)) compressEntry(h, node);
}

function decompressInto(h: Heap, node: number, entry: number): void {
  const size = nodeSize(h, node);
  if (lzfDecompress(h.u8, nodeLzfOffset(h, node), nodeLzfLength(h, node), entry, size) !== size) {
    throw new Error(`Broken list: the node at ${node} cannot be decompressed`);
  }
}

/** @returns what a compressed node holds, allocated for the caller; the node stays as it is. @throws ARENA_EXHAUSTED */
export function unpackNode(h: Heap, node: number): number {
  const entry = h.alloc(nodeSize(h, node));
  decompressInto(h, node, entry);
  return entry;
}

/** @returns false when there is no memory for it; the node stays compressed then */
export function decompressNode(h: Heap, node: number): boolean {
  if (node === 0 || !nodeIsCompressed(h, node)) return true;
  const entry = h.allocator.alloc(nodeSize(h, node));
  if (entry === 0) return false;
  decompressInto(h, node, entry);
  h.free(nodeEntry(h, node));
  h.u32[(node + ENTRY) >>> 2] = entry;
  h.u8[node + FLAGS] &= ~(NODE_LZF | NODE_RECOMPRESS);
  return true;
}

/** Decompresses a node that is to be read and compressed again. @throws ARENA_EXHAUSTED */
export function decompressForUse(h: Heap, node: number): void {
  if (!nodeIsCompressed(h, node)) return;
  if (!decompressNode(h, node)) throw ARENA_EXHAUSTED;
  h.u8[node + FLAGS] |= NODE_RECOMPRESS;
}

/** Compresses a node again that was decompressed to be read. */
export function recompressOnly(h: Heap, node: number): void {
  if ((h.u8[node + FLAGS] & NODE_RECOMPRESS) !== 0) compressNode(h, node);
}

/** After a change near `node` (0: of the list's length): what lies within the depth is decompressed, what just left it compressed. */
export function compressAround(h: Heap, ql: number, node: number): void {
  const depth = quicklistDepth(h, ql);
  const nodes = quicklistNodes(h, ql);
  if (depth === 0 || nodes < depth * 2 || nodes === 0) return;
  let forward = quicklistHead(h, ql);
  let reverse = quicklistTail(h, ql);
  let inDepth = false;
  for (let i = 0; i < depth; i++) {
    decompressNode(h, forward);
    decompressNode(h, reverse);
    if (forward === node || reverse === node) inDepth = true;
    if (forward === reverse || nodeNext(h, forward) === reverse) return;
    forward = nodeNext(h, forward);
    reverse = nodePrev(h, reverse);
  }
  if (!inDepth) compressNode(h, node);
  compressNode(h, forward);
  compressNode(h, reverse);
}

/** Compresses a node as it is due when its user is done. */
export function compressAsDue(h: Heap, ql: number, node: number): void {
  if ((h.u8[node + FLAGS] & NODE_RECOMPRESS) !== 0) compressNode(h, node);
  else compressAround(h, ql, node);
}
