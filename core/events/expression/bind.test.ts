import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Expression, JsonValue } from './ast.ts';
import { bindEvent, equalities, mentions, pathGet } from './bind.ts';
import { compileExpression } from './compile.ts';
import { evaluate, isTrue } from './evaluate.ts';

function compiled(source: string): Expression {
  const result = compileExpression(source);
  if (!result.ok) throw new Error(`${source}: ${result.error.message}`);
  return result.expression;
}

/** As it is after being stored. */
function bound(source: string, event: JsonValue): Expression {
  const result = bindEvent(compiled(source), event);
  if (!result.ok) throw new Error(result.error.message);
  return JSON.parse(JSON.stringify(result.expression)) as Expression;
}

describe('bindEvent', () => {
  const event: JsonValue = { name: 'order', data: { id: 'o1', n: 5, nil: null, tags: ['a'], zero: -0 } };

  it('puts the event in and forgets it', () => {
    const expression = bound('event.data.id == async.data.id && event.data.n < async.data.n', event);
    expect(mentions(expression.root, 'event')).toBe(false);
    expect(isTrue(expression, { async: { data: { id: 'o1', n: 6 } }, nowMs: 0 })).toBe(true);
    expect(isTrue(expression, { async: { data: { id: 'o2', n: 6 } }, nowMs: 0 })).toBe(false);
  });

  it('keeps missing apart from null', () => {
    expect(isTrue(bound('event.data.missing == async.data.x', event), { async: { data: { x: null } }, nowMs: 0 })).toBe(
      true,
    );
    expect(isTrue(bound('event.data.missing == async.data.x', event), { async: { data: {} }, nowMs: 0 })).toBe(false);
    expect(isTrue(bound('event.data.nil == async.data.x', event), { async: { data: {} }, nowMs: 0 })).toBe(true);
  });

  it('leaves the clock for later', () => {
    expect(evaluate(bound('now()', event), { nowMs: 0 })).toEqual({ ok: true, value: '1970-01-01T00:00:00Z' });
  });

  it('does not touch a macro variable of the same name', () => {
    const expression = bound('async.data.l.exists(event, event.data.id == "x")', event);
    expect(isTrue(expression, { async: { data: { l: [{ data: { id: 'x' } }] } }, nowMs: 0 })).toBe(true);
  });

  it('refuses to take in a huge event', () => {
    const result = bindEvent(compiled('event == async'), { data: 'x'.repeat(300_000) });
    expect(result).toEqual({ ok: false, error: { message: expect.stringContaining('262144') } });
    expect(bindEvent(compiled('event.data.id == async.id'), { data: { id: 'a', rest: 'x'.repeat(300_000) } }).ok).toBe(
      true,
    );
  });
});

describe('equalities', () => {
  const event: JsonValue = { data: { id: 'o1', n: 5, nil: null, flag: true, list: [1] } };
  it.each([
    ['event.data.id == async.data.id', [{ path: ['data', 'id'], value: 'o1' }]],
    ['async.data.id == event.data.id', [{ path: ['data', 'id'], value: 'o1' }]],
    [
      'async.data.n == 7 && (async.data["k"] == true && async.name == "x")',
      [
        { path: ['data', 'n'], value: 7 },
        { path: ['data', 'k'], value: true },
        { path: ['name'], value: 'x' },
      ],
    ],
    ['async.data.id == "a-" + event.data.id', [{ path: ['data', 'id'], value: 'a-o1' }]],
    ['event.data.flag && async.data.n == event.data.n', [{ path: ['data', 'n'], value: 5 }]],
    ['async.data.n == -0.0', [{ path: ['data', 'n'], value: 0 }]],
    ['async.data.id == "a" || async.data.n == 1', []],
    ['!(async.data.id == "a")', []],
    ['async.data.id != "a"', []],
    ['async.data.id == null', []],
    ['async.data.id == event.data.nil', []],
    ['async.data.id == event.data.missing', []],
    ['async.data.list == event.data.list', []],
    ['async.data.list[0] == 1', []],
    ['async.data.n == 9007199254740993', []],
    ['async.data.a == async.data.b', []],
    ['async == 1', []],
  ])('%s', (source, expected) => {
    expect(equalities(bound(source, event))).toEqual(expected);
  });
});

describe('pathGet', () => {
  it('walks objects only, by their own keys', () => {
    const event: JsonValue = { data: { a: { b: 0 }, list: [1], nil: null } };
    expect(pathGet(event, ['data', 'a', 'b'])).toBe(0);
    expect(pathGet(event, ['data', 'nil'])).toBe(null);
    expect(pathGet(event, [])).toBe(event);
    for (const path of [
      ['data', 'x'],
      ['data', 'nil', 'x'],
      ['data', 'list', '0'],
      ['toString'],
      ['data', 'list', 'length'],
    ]) {
      expect(pathGet(event, path)).toBeUndefined();
    }
  });
});

describe('any expression', () => {
  const FIELDS = ['a', 'b', 'c'];
  const scalar = fc.constantFrom<JsonValue>('x', 'y', '', 0, 1, -0, 1.5, true, false, null);
  const value = fc.oneof(
    { weight: 5, arbitrary: scalar },
    fc.array(scalar, { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...FIELDS), scalar),
  );
  const event = fc.record({ data: fc.dictionary(fc.constantFrom(...FIELDS), value) }) as fc.Arbitrary<JsonValue>;
  const literal = fc.constantFrom(
    '"x"',
    '"y"',
    '""',
    '0',
    '1',
    '1.0',
    '1.5',
    '-0.0',
    'true',
    'false',
    'null',
    '1u',
    '[1]',
    '{"a": 1}',
  );
  const path = fc
    .tuple(
      fc.constantFrom('event', 'async'),
      fc.constantFrom('.data', '["data"]'),
      fc.constantFrom('.a', '.b', '["c"]', '.a.b', '.c[0]'),
    )
    .map((parts) => parts.join(''));
  const source = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 5, depthSize: 'small' },
      { weight: 3, arbitrary: path },
      { weight: 2, arbitrary: literal },
      { weight: 4, arbitrary: fc.tuple(path, literal).map(([p, l]) => `(${p} == ${l})`) },
      { weight: 4, arbitrary: fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(${a} && ${b})`) },
      { weight: 2, arbitrary: fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(${a} || ${b})`) },
      {
        weight: 4,
        arbitrary: fc
          .tuple(tie('node'), fc.constantFrom('==', '!=', '<', '<=', '>', '>=', '+', '-', '*', '/', 'in'), tie('node'))
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
      },
      { weight: 1, arbitrary: tie('node').map((a) => `!${a === '' || a.startsWith('"') ? `(${a})` : a}`) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(tie('node'), tie('node'), tie('node'))
          .map((parts) => `(${parts[0]} ? ${parts[1]} : ${parts[2]})`),
      },
      {
        weight: 1,
        arbitrary: fc
          .tuple(path, fc.constantFrom('exists', 'all', 'map', 'filter'), tie('node'))
          .map(([p, macro, body]) => `${p}.${macro}(v, v == 1 || ${body})`),
      },
      {
        weight: 1,
        arbitrary: fc
          .tuple(fc.constantFrom('size', 'string', 'int', 'double', 'uppercase', 'type'), tie('node'))
          .map(([name, a]) => `${name}(${a})`),
      },
      { weight: 1, arbitrary: fc.constantFrom('event', 'async').map((name) => `has(${name}.data.a)`) },
    ),
  })).node;
  const compilable = source.filter((text) => compileExpression(text).ok);

  it('gives the same bound as whole', () => {
    fc.assert(
      fc.property(compilable, event, event, (text, first, arriving) => {
        const whole = evaluate(compiled(text), { event: first, async: arriving, nowMs: 0 });
        const later = evaluate(bound(text, first), { async: arriving, nowMs: 0 });
        expect(JSON.stringify(later.ok && later.value)).toBe(JSON.stringify(whole.ok && whole.value));
        expect(later.ok).toBe(whole.ok);
      }),
      { numRuns: 3_000 },
    );
  });

  it('has every equality true whenever it is true itself', () => {
    let matched = 0;
    const side = fc.oneof(path, literal);
    // Few values, so that many pairs of events match.
    const few = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom<JsonValue>('x', 1, 0, true) },
      { weight: 1, arbitrary: value },
    );
    const near = fc.record({
      data: fc.record({ a: few, b: few, c: few }, { requiredKeys: [] }),
    }) as fc.Arbitrary<JsonValue>;
    const operator = fc.constantFrom('==', '==', '==', '!=', '<=', '>=', '<', '>', 'in', '+');
    const term = fc.oneof(
      fc
        .tuple(fc.constantFrom('async.data.a', 'async.data["b"]', 'async.data.c.a'), operator, side)
        .map((parts) => parts.join(' ')),
      fc.tuple(side, fc.constantFrom('async.data.a', 'async.data.b')).map(([a, b]) => `${a} == ${b}`),
      fc.constantFrom(
        'event.data.a == async.data.a || true',
        'true && async.data.a == event.data.a',
        'event.data.b + "" == async.data.b + ""',
      ),
    );
    fc.assert(
      fc.property(
        term,
        fc.array(fc.oneof(term, compilable), { maxLength: 2 }),
        near,
        near,
        (head, tail, first, arriving) => {
          const expression = bound([head, ...tail].map((text) => `(${text})`).join(' && '), first);
          if (!isTrue(expression, { async: arriving, nowMs: 0 })) return;
          for (const equality of equalities(expression)) {
            matched++;
            expect(pathGet(arriving, equality.path) === equality.value).toBe(true);
          }
        },
      ),
      { numRuns: 10_000 },
    );
    expect(matched).toBeGreaterThan(200);
  });
});
