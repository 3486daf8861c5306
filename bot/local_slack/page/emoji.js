// The common emoji by Slack's names. A name that is not here stays as it was written, as in Slack.
export const EMOJI = {
  white_check_mark: '✅', heavy_check_mark: '✔️', ballot_box_with_check: '☑️', x: '❌', negative_squared_cross_mark: '❎',
  hourglass: '⌛', hourglass_flowing_sand: '⏳', rocket: '🚀', warning: '⚠️', no_entry: '⛔', no_entry_sign: '🚫',
  rewind: '⏪', fast_forward: '⏩', eyes: '👀', lock: '🔒', unlock: '🔓', closed_lock_with_key: '🔐', key: '🔑',
  snowflake: '❄️', ice_cube: '🧊', fire: '🔥', crown: '👑', package: '📦', bar_chart: '📊', memo: '📝', pencil: '📝',
  chart_with_upwards_trend: '📈', chart_with_downwards_trend: '📉', speech_balloon: '💬', bell: '🔔', no_bell: '🔕',
  rotating_light: '🚨', tada: '🎉', question: '❓', grey_question: '❔', exclamation: '❗', grey_exclamation: '❕',
  heavy_exclamation_mark: '❗', heavy_minus_sign: '➖', heavy_plus_sign: '➕', leftwards_arrow_with_hook: '↩️',
  arrow_right_hook: '↪️', arrows_counterclockwise: '🔄', arrows_clockwise: '🔃', repeat: '🔁', arrow_up: '⬆️',
  arrow_down: '⬇️', arrow_left: '⬅️', arrow_right: '➡️', arrow_upper_right: '↗️', arrow_lower_right: '↘️',
  arrow_up_small: '🔼', arrow_down_small: '🔽', arrow_forward: '▶️', arrow_backward: '◀️', back: '🔙', soon: '🔜',
  black_right_pointing_triangle: '▶️', double_vertical_bar: '⏸️', pause_button: '⏸️', black_square_for_stop: '⏹️',
  stop_button: '⏹️', small_red_triangle: '🔺', small_red_triangle_down: '🔻', small_blue_diamond: '🔹',
  small_orange_diamond: '🔸', large_blue_diamond: '🔷', large_orange_diamond: '🔶', red_circle: '🔴',
  large_red_circle: '🔴', large_green_circle: '🟢', large_yellow_circle: '🟡', large_orange_circle: '🟠',
  large_blue_circle: '🔵', large_purple_circle: '🟣', large_brown_circle: '🟤', white_circle: '⚪', black_circle: '⚫',
  large_green_square: '🟩', large_red_square: '🟥', large_yellow_square: '🟨', black_square_button: '🔲',
  white_square_button: '🔳', black_large_square: '⬛', white_large_square: '⬜', white_small_square: '▫️',
  black_small_square: '▪️', robot_face: '🤖', wave: '👋', thumbsup: '👍', '+1': '👍', thumbsdown: '👎', '-1': '👎',
  raised_hand: '✋', hand: '✋', ok_hand: '👌', point_right: '👉', clap: '👏', pray: '🙏', muscle: '💪',
  smile: '😄', slightly_smiling_face: '🙂', thinking_face: '🤔', cry: '😢', sob: '😭', joy: '😂', heart: '❤️',
  broken_heart: '💔', sparkles: '✨', star: '⭐', star2: '🌟', zap: '⚡', boom: '💥', bulb: '💡', wrench: '🔧',
  hammer: '🔨', hammer_and_wrench: '🛠️', gear: '⚙️', link: '🔗', paperclip: '📎', pushpin: '📌', label: '🏷️',
  mag: '🔍', mag_right: '🔎', calendar: '📅', date: '📅', spiral_calendar_pad: '🗓️', alarm_clock: '⏰',
  stopwatch: '⏱️', timer_clock: '⏲️', mantelpiece_clock: '🕰️', watch: '⌚', clipboard: '📋', page_facing_up: '📄',
  scroll: '📜', books: '📚', bookmark: '🔖', file_folder: '📁', open_file_folder: '📂', card_index_dividers: '🗂️',
  inbox_tray: '📥', outbox_tray: '📤', email: '✉️', envelope: '✉️', loudspeaker: '📢', mega: '📣', shield: '🛡️',
  scales: '⚖️', balance_scale: '⚖️', test_tube: '🧪', microscope: '🔬', dart: '🎯', checkered_flag: '🏁',
  triangular_flag_on_post: '🚩', construction: '🚧', vertical_traffic_light: '🚦', traffic_light: '🚥', octagonal_sign: '🛑',
  stop_sign: '🛑', bug: '🐛', bird: '🐦', hatching_chick: '🐣', baby_chick: '🐤', ghost: '👻', skull: '💀',
  busts_in_silhouette: '👥', bust_in_silhouette: '👤', information_source: 'ℹ️', new: '🆕', ok: '🆗', sos: '🆘',
  one: '1️⃣', two: '2️⃣', three: '3️⃣', four: '4️⃣', five: '5️⃣', sleeping: '😴', zzz: '💤', moon: '🌔', sunny: '☀️',
  cloud: '☁️', umbrella: '☔', earth_africa: '🌍', globe_with_meridians: '🌐', satellite: '🛰️', trophy: '🏆',
  medal: '🏅', sports_medal: '🏅', first_place_medal: '🥇', raising_hand: '🙋', writing_hand: '✍️', musical_score: '🎼',
  clock1: '🕐', clock2: '🕑', clock3: '🕒', clock4: '🕓', clock5: '🕔', clock6: '🕕', clock7: '🕖', clock8: '🕗',
  clock9: '🕘', clock10: '🕙', clock11: '🕚', clock12: '🕛', clock130: '🕜', clock230: '🕝', clock330: '🕞',
};

/** The character of an emoji name (skin tones left out), or null when the name is unknown. */
export function emojiFor(name) {
  const plain = name.split('::')[0];
  return Object.hasOwn(EMOJI, plain) ? EMOJI[plain] : null;
}
