/** Which type of value a type byte of RDB files and DUMP payloads stands for. */
import type { Heap } from '../structures/heap.ts';
import type { ObjectType } from '../structures/object-type.ts';

/** @returns null for a byte that is not known */
export function objectTypeOfRdb(h: Heap, rdbType: number): ObjectType | null {
  for (const type of h.types) if (type?.rdbTypes.includes(rdbType)) return type;
  return null;
}
