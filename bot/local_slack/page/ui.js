// The one place that names the vendored library, so that a newer copy is one edit.
export {
  html, render, createContext, useState, useReducer, useEffect, useLayoutEffect, useRef, useMemo, useCallback,
  useContext,
} from './vendor/preact.module.js';

let counter = 0;

/** An id that no other element of the page has; ids of blocks repeat between messages. */
export function freshId(prefix) {
  counter += 1;
  return `${prefix}-${counter}`;
}
