// What Slack itself checks before it sends a form to the app. Pure but for reading what was entered.
import { valueOf } from './scope.js';

const REQUIRED = 'Please complete this required field.';

const empty = (value) => value === null || value === undefined || !String(value).trim() || (Array.isArray(value) && !value.length);

function numberProblem(element, value) {
  const number = Number(value);
  if (!Number.isFinite(number)) return 'Please enter a valid number.';
  if (!element.is_decimal_allowed && !Number.isInteger(number)) return 'Please enter a whole number.';
  if (number < Number(element.min_value ?? -Infinity)) return `Please enter a number that is at least ${element.min_value}.`;
  if (number > Number(element.max_value ?? Infinity)) return `Please enter a number that is at most ${element.max_value}.`;
  return null;
}

function textProblem(element, value) {
  if (value.length < (element.min_length ?? 0)) return `Please enter at least ${element.min_length} characters.`;
  const most = element.max_length || 3000;
  return value.length > most ? `Please enter at most ${most} characters (${value.length - most} too many).` : null;
}

function problemOf(element, value) {
  if (element.type === 'number_input') return numberProblem(element, String(value));
  if (element.type === 'plain_text_input') return textProblem(element, value);
  if (element.type === 'email_text_input') return /^\S+@\S+\.\S+$/.test(value) ? null : 'Please enter a valid email address.';
  if (element.type === 'url_text_input') return URL.canParse(value) ? null : 'Please enter a valid URL.';
  return null;
}

/** The problems of a form by block_id; empty when it may be sent. */
export function checkForm(scope) {
  const problems = {};
  for (const block of scope.blocks) {
    if (block.type !== 'input') continue;
    const value = valueOf(scope, block.block_id, block.element);
    const problem = empty(value) ? (block.optional ? null : REQUIRED) : problemOf(block.element, value);
    if (problem) problems[block.block_id] = problem;
  }
  return problems;
}
