/** What SORT sorts: the elements of a list, set or sorted set. */

import { DictIterator } from '../structures/dict-iterator.ts';
import { dictKey, dictSize } from '../structures/dict-layout.ts';
import type { Heap } from '../structures/heap.ts';
import { wordsToBigInt } from '../structures/int64.ts';
import { ListCursor } from '../structures/quicklist-cursor.ts';
import { OBJ_ENCODING_SKIPLIST, OBJ_LIST, OBJ_SET, robjEncoding, robjPtr, robjType } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import { zslByRank, zslMember, zslNext, zslPrevious } from '../structures/skiplist.ts';
import { listLength } from '../types/list.ts';
import { SetIterator, setTypeSize } from '../types/set.ts';
import { zsetDict, zsetLength, zsetSkiplist, zsetToSkiplist } from '../types/zset-object.ts';

export class SortElement {
  readonly text: string;
  /** What it is sorted by: a number, or (ALPHA with BY) a text, null where there is none. */
  score = 0;
  weight: string | null = null;

  constructor(text: string) {
    this.text = text;
  }
}

/** Number of elements. */
export function sortSize(h: Heap, o: number): number {
  const type = robjType(h, o);
  return type === OBJ_LIST ? listLength(h, o) : type === OBJ_SET ? setTypeSize(h, o) : zsetLength(h, o);
}

function listElements(h: Heap, o: number, from: number, count: number, forward: boolean): SortElement[] {
  const all: SortElement[] = [];
  const k = new ListCursor();
  if (count <= 0 || !k.seek(h, robjPtr(h, o), from, forward)) return all;
  while (all.length < count && k.next(h)) all.push(new SortElement(k.text(h)));
  k.end(h);
  return all;
}

function setElements(h: Heap, o: number): SortElement[] {
  const all: SortElement[] = [];
  const members = new SetIterator(h, o);
  while (members.next()) {
    all.push(
      new SortElement(
        members.isInteger
          ? wordsToBigInt(members.low, members.high).toString()
          : h.latin1(members.offset, members.length),
      ),
    );
  }
  return all;
}

const memberText = (h: Heap, s: number): string => h.latin1(s, sdsLen(h, s));

/**
 * Takes the elements out, of a list or sorted set that keeps its order (`direct`) only those from `start` to `end` in the direction
 * wanted. As in the original a sorted set loses its compact encoding by being sorted.
 * @throws ARENA_EXHAUSTED
 */
export function loadSortElements(
  h: Heap,
  o: number,
  direct: boolean,
  descending: boolean,
  start: number,
  end: number,
): SortElement[] {
  const type = robjType(h, o);
  if (type === OBJ_SET) return setElements(h, o);
  if (type === OBJ_LIST) {
    const size = listLength(h, o);
    if (!direct) return listElements(h, o, 0, size, true);
    return listElements(h, o, descending ? size - start - 1 : start, end - start + 1, !descending);
  }
  if (robjEncoding(h, o) !== OBJ_ENCODING_SKIPLIST) zsetToSkiplist(h, o);
  const all: SortElement[] = [];
  if (!direct) {
    const entries = new DictIterator(h, zsetDict(h, o));
    for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
      all.push(new SortElement(memberText(h, dictKey(h, entry))));
    }
    return all;
  }
  const zsl = zsetSkiplist(h, o);
  const size = dictSize(h, zsetDict(h, o));
  let node = end < start ? 0 : zslByRank(h, zsl, descending ? size - start : start + 1);
  for (let left = end - start + 1; left > 0 && node !== 0; left--) {
    all.push(new SortElement(memberText(h, zslMember(h, node))));
    node = descending ? zslPrevious(h, node) : zslNext(h, node);
  }
  return all;
}
