import { describe, expect, it } from 'vitest';
import type { JsonValue } from './ast.ts';
import { compileExpression } from './compile.ts';
import { evaluate, type Inputs, isTrue } from './evaluate.ts';

const NOW = Date.UTC(2026, 0, 1, 12);

function run(source: string, data: JsonValue = {}, inputs: Partial<Inputs> = {}): unknown {
  const compiled = compileExpression(source);
  if (!compiled.ok) throw new Error(compiled.error.message);
  const result = evaluate(compiled.expression, { event: { name: 'e', data }, nowMs: NOW, ...inputs });
  return result.ok ? result.value : `error: ${result.error.message}`;
}

describe('what is missing', () => {
  it.each([
    ['event.data.missing == "foo"', false],
    ['event.data.missing == null', true],
    ['event.data.missing == 0', false],
    ['event.data.a == event.data.b', false],
    ['event.data.missing != "foo"', true],
    ['event.data.missing != null', false],
    ['event.data.missing != ""', true],
    ['event.data.missing < 5', true],
    ['event.data.missing <= 5', true],
    ['5 < event.data.missing', false],
    ['5 <= event.data.missing', false],
    ['event.data.missing > 5', false],
    ['event.data.missing >= 5', false],
    ['5 > event.data.missing', true],
    ['5 >= event.data.missing', true],
    ['"x" + event.data.missing', 'x'],
    ['event.data.missing + "x"', 'x'],
    ['event.data.a + event.data.b', false],
    ['size(event.data.missing)', 0],
    ['size(event.data.missing) == 0', true],
    ['event.data.missing in ["a"]', false],
    ['"item" in event.data.issue.fields.tags', false],
    ['event.data.missing.deeper.still == "x"', false],
    ['event.data.missing.contains("x")', false],
    ['event.data.missing.exists(x, x == "a")', false],
    ['event.data.missing', false],
    ['!event.data.missing', false],
    ['has(event.data.missing)', false],
    ['!has(event.data.missing)', true],
    ['event.data.missing ? "a" : "b"', false],
    ['async.data.x == 1', false],
    ['vars.x == null', true],
  ])('%s is %j', (source, expected) => {
    expect(run(source)).toBe(expected);
  });
});

describe('null', () => {
  it.each([
    ['null == "foo"', false],
    ['"foo" != null', true],
    ['null == null', true],
    ['event.data.nil == null', true],
    ['null < "foo"', true],
    ['"foo" < null', false],
    ['null < uint(5)', true],
    ['null < 5', true],
    ['null > 0', false],
    ['5 > null', true],
    ['null <= 0', true],
    ['null >= 1', false],
    ['null < 0.5', true],
    ['event.data.nil > 0', false],
    ['event.data.nil.deeper != "x"', true],
    ['size(event.data.nil) > 0', false],
    ['has(event.data.nil)', true],
    ['null + 5', 5],
  ])('%s is %j', (source, expected) => {
    expect(run(source, { nil: null })).toBe(expected);
  });
});

describe('logic', () => {
  const data = { a: 'first', b: 'second', empty: '', zero: 0, f: 3.14, list: [], yes: true, no: false };
  it.each<[string, JsonValue]>([
    ['event.data.a || event.data.b', 'first'],
    ['event.data.empty || event.data.b', 'second'],
    ['event.data.missing || event.data.b', 'second'],
    ['event.data.zero || event.data.b', 'second'],
    ['null || event.data.b', 'second'],
    ['event.data.f || false', 3.14],
    ['false || event.data.list', []],
    ['event.data.missing || event.data.gone', false],
    ['event.data.a && event.data.b', 'second'],
    ['event.data.empty && event.data.b', ''],
    ['event.data.missing && event.data.b', false],
    ['event.data.yes && event.data.no', false],
    ['1/0 > 1 || true', true],
    ['event.data.yes ? 1 : 2', 1],
  ])('%s is %j', (source, expected) => {
    expect(run(source, data)).toEqual(expected);
  });

  it('matches on true only, not on anything truthy', () => {
    const compiled = compileExpression('event.data.a');
    expect(compiled.ok && isTrue(compiled.expression, { event: { data }, nowMs: NOW })).toBe(false);
  });
});

describe('types', () => {
  const data = {
    n: 9,
    half: 9.5,
    s: 'text',
    flag: true,
    obj: { a: [1, { b: 2 }] },
    same: { a: [1, { b: 2 }] },
    big: 1_234_567,
    list: ['a', 'b', 3],
    __proto__x: 1,
  };
  it.each<[string, JsonValue]>([
    ['event.data.n == 9', true],
    ['event.data.n == 9.0', true],
    ['event.data.n == 9u', true],
    ['event.data.n > 8.5', true],
    ['event.data.s == 5', false],
    ['event.data.s != 5', true],
    ['event.data.s < 5', false],
    ['event.data.s > 5', false],
    ['event.data.obj == event.data.same', true],
    ['event.data.obj == {"a": [1, {"b": 2.0}]}', true],
    ['event.data.n + 1', 10],
    ['5 + 4', 9],
    ['7 / 2', 3],
    ['7.0 / 2.0', 3.5],
    ['-7 % 4', -3],
    ['9223372036854775807', '9223372036854775807'],
    ['event.data.s + "-" + event.data.half + "-" + event.data.flag', 'text-9.5-true'],
    ['"id-" + event.data.big', 'id-1.234567e+06'],
    ['event.data["s"]', 'text'],
    ['event.data.list[0]', 'a'],
    ['event.data.list[9] == null', true],
    ['"b" in event.data.list', true],
    ['3 in event.data.list', true],
    ['"n" in event.data', true],
    ['[1, 2] + [3]', [1, 2, 3]],
    ['{1: "one", "two": 2}[1]', 'one'],
    ['type(event.data.n) == double', true],
    ['type(1) == int', true],
    ['event.data.toString == null', true],
    ['event.data.s.length == null', true],
    ['int("200") == 200', true],
    ['int(9.9)', 9],
    ['double("1.5")', 1.5],
    ['string(1.0)', '1'],
    ['string(timestamp("2020-01-01T00:00:00.5Z"))', '2020-01-01T00:00:00.5Z'],
    ['bool("true")', true],
    ['string(b"abc")', 'abc'],
  ])('%s is %j', (source, expected) => {
    expect(run(source, data)).toEqual(expected);
  });

  it.each([
    '1 / 0',
    '1 % 0',
    '9223372036854775807 + 1',
    'int("abc")',
    '!"text"',
    '"a" ? 1 : 2',
    'duration("soon")',
    '{[1]: 2}',
    '"a".matches("(")',
  ])('%s is an error', (source) => {
    expect(run(source)).toMatch(/^error: /);
  });
});

describe('functions', () => {
  const data = {
    tags: ['a', 'b', 'c'],
    nums: [1, 2, 3],
    title: 'nope',
    encoded: 'eyJuZXN0ZWQiOnsiZGF0YSI6InllYSJ9fQ==',
    map: { x: 1, y: 2 },
  };
  it.each<[string, JsonValue]>([
    ['event.data.tags.exists(x, x == "d" || x == "a")', true],
    ['event.data.tags.exists(x, x == "z") == false', true],
    ['event.data.nums.all(x, x > 0)', true],
    ['event.data.nums.all(x, x > 1)', false],
    ['event.data.nums.exists_one(x, x == 2)', true],
    ['event.data.nums.map(x, x * 2)', [2, 4, 6]],
    ['event.data.nums.map(x, x > 1, x * 2)', [4, 6]],
    ['event.data.nums.filter(x, x != 2)', [1, 3]],
    ['event.data.map.exists(k, k == "y")', true],
    ['[1, 2].map(x, [3].map(y, x + y))', [[4], [5]]],
    ['["P0", "P1"].exists(p, p in event.data.tags)', false],
    ['event.data.title.matches("^[a-z\\\\d]{0,10}$")', true],
    ['matches(event.data.title, "N")', false],
    ['"hello".contains("llo") && "hello".startsWith("he") && "hello".endsWith("o")', true],
    ['"héé😀".size()', 4],
    ['size(event.data.tags) + size(event.data.map) + size("é")', 6],
    ['uppercase("p1") + lowercase("URGENT") + uppercase(event.data.nums)', 'P1urgent'],
    ['b64decode("aGkgdGhlcmUh") == "hi there!"', true],
    ['b64decode("***")', ''],
    ['json_parse(b64decode(event.data.encoded)).nested.data == "yea"', true],
    ['json_parse("[1]")', {}],
    ['json_parse("nonsense")', {}],
    ['date("2020-01-01T12:00:00") + duration("6h35m10s") == date("2020-01-01T18:35:10")', true],
    ['date("2026-01-01") < now()', true],
    ['now_plus("1d") > now() && now_minus("1w") < now()', true],
    ['date(1767268800) == now()', true],
    ['date(1767268800000) == now()', true],
    ['now()', '2026-01-01T12:00:00Z'],
    ['timestamp("2020-02-30T00:00:00Z") == null', true],
    ['timestamp("2020-01-02T03:04:05.678Z").getHours()', 3],
    ['timestamp("2020-01-02T03:04:05Z").getHours("America/New_York")', 22],
    ['timestamp("2020-01-02T03:04:05Z").getHours("+02:00")', 5],
    ['timestamp("2020-03-01T00:00:00Z").getDayOfYear()', 60],
    ['duration("90m").getHours()', 1],
    ['date("2020-01-01T01:00:00Z") - date("2020-01-01T00:00:00Z") == duration("1h")', true],
    ['date("Thu, 01 Jan 2026 12:00:00 GMT") == now()', true],
  ])('%s is %j', (source, expected) => {
    expect(run(source, data)).toEqual(expected);
  });
});

describe('limits', () => {
  const numbers = Array.from({ length: 1_000 }, (_, n) => n);

  it('ends nested loops with an error', () => {
    expect(
      run('event.data.l.all(a, event.data.l.all(b, event.data.l.all(c, a + b + c >= 0)))', { l: numbers }),
    ).toMatch(/too many steps/);
  });

  it.each([
    ['event.data.s.matches("(a+)+$")', 'the classic catastrophe', false],
    ['event.data.s.matches("(a|a)*c")', 'ambiguous alternatives', false],
    ['event.data.s.matches("^(a?){50}a{50}$")', 'nested optional repeats', false],
  ])('%s does not hang (%s)', (source, _label, expected) => {
    expect(run(source, { s: `${'a'.repeat(1_000)}b` })).toBe(expected);
  });

  it('charges searches and comparisons of long texts', () => {
    const a = 'a'.repeat(1_000_000);
    expect(
      run('event.data.l.all(x, event.data.a.contains(event.data.b))', { a, b: `b${a.slice(1)}`, l: numbers }),
    ).toMatch(/too many steps/);
    expect(run('event.data.l.all(x, event.data.a == event.data.b)', { a, b: `${a.slice(1)}b`, l: numbers })).toBe(
      false,
    );
    expect(run('event.data.l.map(x, event.data.a + event.data.a)', { a, l: numbers })).toMatch(/too many steps/);
  });

  it('survives JSON nested deeper than the stack', () => {
    let deep: JsonValue = 1;
    let other: JsonValue = 1;
    for (let n = 0; n < 50_000; n++) [deep, other] = [[deep], [other]];
    expect(run('event.data.a == event.data.b', { a: deep, b: other })).toBe(false);
  });
});
