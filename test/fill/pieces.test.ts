import { expect, test } from 'vitest';
import { Received, Todo, type Piece } from '../../src/fill/pieces.ts';

const piece = (from: number, until: number): Piece => ({ from, until });

test('what is to be done is taken from the front, and nothing twice', () => {
  const todo = new Todo(piece(10, 35));
  expect([todo.take(10), todo.take(10), todo.take(10), todo.take(10)]).toEqual([
    piece(10, 20),
    piece(20, 30),
    piece(30, 35),
    undefined,
  ]);
  expect(todo.isEmpty).toBe(true);
});

test('what comes back is taken again in its place', () => {
  const todo = new Todo(piece(0, 40));
  for (let nth = 0; nth < 3; nth += 1) todo.take(10);
  todo.giveBack(piece(15, 20));
  todo.giveBack(piece(3, 10));
  todo.giveBack(piece(20, 20));
  expect([todo.take(100), todo.take(2), todo.take(100), todo.take(100), todo.take(1)]).toEqual([
    piece(3, 10),
    piece(15, 17),
    piece(17, 20),
    piece(30, 40),
    undefined,
  ]);
});

test('of nothing there is nothing to do', () => {
  expect(new Todo(piece(5, 5)).isEmpty).toBe(true);
});

test('what has come is known in whatever order it came', () => {
  const size = 200;
  const received = new Received();
  const isThere = new Set<number>();
  // Every byte once, in an order that looks like none: 77 and 200 have no divisor in common.
  for (let nth = 0; nth < size; nth += 1) {
    const at = (nth * 77) % size;
    received.add(piece(at, at + 1));
    isThere.add(at);
    for (let position = 0; position < size; position += 1) {
      let end = position;
      while (isThere.has(end)) end += 1;
      expect(received.endFrom(position)).toBe(end);
    }
  }
  expect(received.endFrom(0)).toBe(size);
});

test('near is what is there, and what comes soon behind it', () => {
  const received = new Received();
  received.add(piece(100, 200));
  expect([99, 100, 199, 200, 210, 211].map((position) => received.isNear(position, 10))).toEqual([
    false,
    true,
    true,
    true,
    true,
    false,
  ]);
});
