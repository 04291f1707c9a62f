import type { RunStatus } from './call.ts';
import type { JsonText } from './payload.ts';

/** A run's history has grown. A hint: the record is the cell's. */
export interface RunChange {
  run: string;
  seq: number;
  status: RunStatus;
}

/** One chunk of a stream, as it was appended. */
export interface StreamChunk {
  /** Position in the stream, from 1, without gaps. */
  seq: number;
  atMs: number;
  data: string;
}

export interface StreamPage {
  chunks: StreamChunk[];
  /** Position of the newest chunk; 0 for a stream that has none, or does not exist. */
  last: number;
  /** Nothing will follow: its writer has said so. */
  closed: boolean;
}

export interface AppendRequest {
  chunks: string[];
  /** Who writes. Chunks of one writer are numbered from 0; a number that was taken before is dropped, so a writer may send again what it is not sure of. */
  writer?: string;
  /** The writer's number of the first of these chunks. Absent: they follow what it sent before. */
  fromIndex?: number;
  /** Nothing will follow. */
  close?: boolean;
}

export interface StreamInfo {
  last: number;
  closed: boolean;
  /** The writer's newest number, or -1. */
  writerIndex: number;
}

/** A position in what a channel knows of a label's runs. Of another epoch: the channel has started anew, and so must the reader. */
export interface LabelPosition {
  epoch: string;
  n: number;
}

export interface LabelChanges {
  position: LabelPosition;
  /** The reader's position is not known (any more): it has to read the list, from this position on it is told again. */
  reset: boolean;
  /** Each run once, in the order of their newest change. */
  runs: Array<{ run: string; seq: number; view: JsonText | null }>;
}

/** Topics of this form are fed by the cell: the channel follows the run, or every run with the label. Any other topic is fed by `publish`. */
export const runTopic = (run: string): string => `run:${run}`;
export const labelTopic = (label: string): string => `label:${label}`;

export type Feed = { run: string } | { label: string };

/** What feeds the topic from the cell, or null for one that is published to. */
export function feedOf(topic: string): Feed | null {
  if (topic.startsWith('run:')) return { run: topic.slice(4) };
  return topic.startsWith('label:') ? { label: topic.slice(6) } : null;
}
