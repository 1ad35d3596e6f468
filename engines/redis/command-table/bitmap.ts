/** Facts of the commands of the group "bitmap", as Redis 7.0.15 reports them (COMMAND INFO, COMMAND DOCS); the prose is our own. */
import type { CommandFacts } from './facts.ts';

export const bitmapCommands: readonly CommandFacts[] = [
  {
    name: 'bitcount',
    arity: -2,
    since: '2.6.0',
    group: 'bitmap',
    complexity: 'O(n), n being the bytes looked at',
    summary: 'Count the bits that are set in a string.',
    flags: 'readonly',
    categories: '@read @bitmap @slow',
    keys: [1, 1, 1],
    keySpecs: [{ flags: 'RO access', index: 1, range: [0, 1, 0] }],
    history: [['7.0.0', 'Takes BYTE or BIT.']],
    arguments: [
      { name: 'key', type: 'key', keySpecIndex: 0 },
      {
        name: 'index',
        type: 'block',
        flags: 'optional',
        arguments: [
          { name: 'start', type: 'integer' },
          { name: 'end', type: 'integer' },
          {
            name: 'index_unit',
            type: 'oneof',
            since: '7.0.0',
            flags: 'optional',
            arguments: [
              { name: 'byte', type: 'pure-token', token: 'BYTE' },
              { name: 'bit', type: 'pure-token', token: 'BIT' },
            ],
          },
        ],
      },
    ],
  },
  {
    name: 'bitfield',
    arity: -2,
    since: '3.2.0',
    group: 'bitmap',
    complexity: 'O(1) for each operation',
    summary: 'Read, set and increment integers of any width within a string.',
    flags: 'write denyoom',
    categories: '@write @bitmap @slow',
    keys: [1, 1, 1],
    keySpecs: [
      {
        flags: 'RW access update variable_flags',
        index: 1,
        range: [0, 1, 0],
        notes: 'Reads only when all operations are GET',
      },
    ],
    arguments: [
      { name: 'key', type: 'key', keySpecIndex: 0 },
      {
        name: 'operation',
        type: 'oneof',
        flags: 'optional multiple',
        arguments: [
          {
            name: 'encoding_offset',
            type: 'block',
            token: 'GET',
            arguments: [
              { name: 'encoding', type: 'string' },
              { name: 'offset', type: 'integer' },
            ],
          },
          {
            name: 'write',
            type: 'block',
            arguments: [
              {
                name: 'wrap_sat_fail',
                type: 'oneof',
                token: 'OVERFLOW',
                flags: 'optional',
                arguments: [
                  { name: 'wrap', type: 'pure-token', token: 'WRAP' },
                  { name: 'sat', type: 'pure-token', token: 'SAT' },
                  { name: 'fail', type: 'pure-token', token: 'FAIL' },
                ],
              },
              {
                name: 'write_operation',
                type: 'oneof',
                arguments: [
                  {
                    name: 'encoding_offset_value',
                    type: 'block',
                    token: 'SET',
                    arguments: [
                      { name: 'encoding', type: 'string' },
                      { name: 'offset', type: 'integer' },
                      { name: 'value', type: 'integer' },
                    ],
                  },
                  {
                    name: 'encoding_offset_increment',
                    type: 'block',
                    token: 'INCRBY',
                    arguments: [
                      { name: 'encoding', type: 'string' },
                      { name: 'offset', type: 'integer' },
                      { name: 'increment', type: 'integer' },
                    ],
                  },
                ],
              },
            ],
          },
        ],
      },
    ],
  },
  {
    name: 'bitfield_ro',
    arity: -2,
    since: '6.0.0',
    group: 'bitmap',
    complexity: 'O(1) for each operation',
    summary: 'Read integers of any width within a string.',
    flags: 'readonly fast',
    categories: '@read @bitmap @fast',
    keys: [1, 1, 1],
    keySpecs: [{ flags: 'RO access', index: 1, range: [0, 1, 0] }],
    arguments: [
      { name: 'key', type: 'key', keySpecIndex: 0 },
      {
        name: 'encoding_offset',
        type: 'block',
        token: 'GET',
        flags: 'optional multiple multiple_token',
        arguments: [
          { name: 'encoding', type: 'string' },
          { name: 'offset', type: 'integer' },
        ],
      },
    ],
  },
  {
    name: 'bitop',
    arity: -4,
    since: '2.6.0',
    group: 'bitmap',
    complexity: 'O(n), n being the bytes of the longest string',
    summary: 'Store what AND, OR, XOR or NOT makes of strings, bit by bit.',
    flags: 'write denyoom',
    categories: '@write @bitmap @slow',
    keys: [2, -1, 1],
    keySpecs: [
      { flags: 'OW update', index: 2, range: [0, 1, 0] },
      { flags: 'RO access', index: 3, range: [-1, 1, 0] },
    ],
    arguments: [
      { name: 'operation', type: 'string' },
      { name: 'destkey', type: 'key', keySpecIndex: 0 },
      { name: 'key', type: 'key', keySpecIndex: 1, flags: 'multiple' },
    ],
  },
  {
    name: 'bitpos',
    arity: -3,
    since: '2.8.7',
    group: 'bitmap',
    complexity: 'O(n), n being the bytes looked at',
    summary: 'Find the first bit of a string that is set, or is not.',
    flags: 'readonly',
    categories: '@read @bitmap @slow',
    keys: [1, 1, 1],
    keySpecs: [{ flags: 'RO access', index: 1, range: [0, 1, 0] }],
    history: [['7.0.0', 'Takes BYTE or BIT.']],
    arguments: [
      { name: 'key', type: 'key', keySpecIndex: 0 },
      { name: 'bit', type: 'integer' },
      {
        name: 'index',
        type: 'block',
        flags: 'optional',
        arguments: [
          { name: 'start', type: 'integer' },
          {
            name: 'end_index',
            type: 'block',
            flags: 'optional',
            arguments: [
              { name: 'end', type: 'integer' },
              {
                name: 'index_unit',
                type: 'oneof',
                since: '7.0.0',
                flags: 'optional',
                arguments: [
                  { name: 'byte', type: 'pure-token', token: 'BYTE' },
                  { name: 'bit', type: 'pure-token', token: 'BIT' },
                ],
              },
            ],
          },
        ],
      },
    ],
  },
  {
    name: 'getbit',
    arity: 3,
    since: '2.2.0',
    group: 'bitmap',
    complexity: 'O(1)',
    summary: 'Give one bit of a string.',
    flags: 'readonly fast',
    categories: '@read @bitmap @fast',
    keys: [1, 1, 1],
    keySpecs: [{ flags: 'RO access', index: 1, range: [0, 1, 0] }],
    arguments: [
      { name: 'key', type: 'key', keySpecIndex: 0 },
      { name: 'offset', type: 'integer' },
    ],
  },
  {
    name: 'setbit',
    arity: 4,
    since: '2.2.0',
    group: 'bitmap',
    complexity: 'O(1), unless the string grows',
    summary: 'Set or clear one bit of a string.',
    flags: 'write denyoom',
    categories: '@write @bitmap @slow',
    keys: [1, 1, 1],
    keySpecs: [{ flags: 'RW access update', index: 1, range: [0, 1, 0] }],
    arguments: [
      { name: 'key', type: 'key', keySpecIndex: 0 },
      { name: 'offset', type: 'integer' },
      { name: 'value', type: 'integer' },
    ],
  },
];
