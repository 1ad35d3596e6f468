/** All types of values, by type number. */
import type { ObjectType } from '../structures/object-type.ts';
import { OBJ_HASH, OBJ_LIST, OBJ_SET, OBJ_STREAM, OBJ_STRING, OBJ_ZSET } from '../structures/robj.ts';
import { hashType } from './hash.ts';
import { listType } from './list.ts';
import { setType } from './set.ts';
import { streamType } from './stream.ts';
import { stringType } from './string.ts';
import { zsetType } from './zset.ts';

const all: ObjectType[] = [];
all[OBJ_STRING] = stringType;
all[OBJ_LIST] = listType;
all[OBJ_SET] = setType;
all[OBJ_ZSET] = zsetType;
all[OBJ_HASH] = hashType;
// 5 is the type of modules, which are not here; the row keeps the table dense.
all[5] = stringType;
all[OBJ_STREAM] = streamType;

export const objectTypes: readonly ObjectType[] = all;
