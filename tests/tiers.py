"""The tiers of the tests: which tests are slow, which are nightly, and which need the machine for themselves.

A test that is not named here is fast, and runs at every save. A name stands for the test function with all its
parameters, in any file. When a test is renamed, its name here must change too: `tests/test_tiers.py` checks it. If only
some parameters of a test are slow, mark them in its file with ``pytest.param(..., marks=pytest.mark.slow)``.

``python -m pytest --durations=30`` shows how long tests take. A test of more than about two seconds is slow.
"""

SLOW = {
    # many trainings of scikit-learn's own MLP
    "test_a_sparse_array_is_never_made_dense_as_a_whole",
    "test_cross_validation_and_meta_estimators",
    "test_estimator_with_new_parameters",
    "test_processes_of_joblib_share_the_cores_out",
    "test_samples_of_any_shape_dtype_and_order",
    "test_searches_in_several_processes",
    "test_the_same_over_a_grid",
    "test_warm_start",
    # each of these starts processes, which import everything again
    "test_a_disk_that_takes_no_byte",
    "test_a_fork_while_another_thread_compiles",
    "test_a_place_without_a_writable_folder_and_without_a_home",
    "test_a_reader_that_goes_away_is_no_error",
    "test_a_second_signal_ends_it_at_once",
    "test_a_signal_from_outside_ends_a_long_training",
    "test_a_search_of_200_candidates_that_is_killed_ends_with_the_same_table",
    "test_a_rank_that_fails_ends_the_job_and_leaves_the_checkpoint",
    "test_a_training_in_two_processes_goes_on",
    "test_an_error_on_one_rank_is_told_in_one_line",
    "test_settings_that_differ_are_told_in_one_line",
    "test_a_terminal_shows_what_is_being_done_and_is_cleared_at_the_end",
    "test_cold_starts_are_measured_in_processes",
    "test_a_fork_while_another_thread_imports_numba",
    "test_a_program_can_switch_the_jit_off_before_mbbp_is_imported",
    "test_a_users_jitted_code_finds_our_functions",
    "test_ctrl_c_ends_it_in_one_line",
    "test_machines_with_different_processors_share_a_folder",
    "test_several_processes_fill_a_folder_at_once",
    "test_importing_imports_no_compiler",
    "test_importing_mbbp_imports_no_search",
    "test_switching_the_jit_off_later_is_an_error",
    "test_with_the_jit_disabled_it_says_so",
    "test_a_notebook_with_widgets_shows_one_bar_and_it_does_not_turn_red",
    "test_a_notebook_without_widgets_shows_a_bar_of_characters",
    "test_figures_are_shown_in_a_notebook_as_pictures",
    "test_it_runs_from_start_to_end",  # the notebooks
    "test_no_bar_is_left_in_a_notebook_by_a_short_training_or_where_it_is_not_wanted",
    "test_nothing_warns_in_a_notebook",
    "test_print_shows_text_in_a_notebook",
    "test_results_are_shown_in_a_notebook_as_tables",
    "test_the_benchmark_runs_and_finds_that_all_agree",
    "test_the_command_line_starts_without_the_comparison",
    "test_the_command_runs_in_a_held_process",
    "test_the_digits_are_read_from_an_archive",
    "test_the_time_in_all_counts_the_imports",
    "test_the_programs_of_cold_starts_run",
    "test_vectors_and_tiles_are_the_processors",
    "test_ten_times_the_memory_of_data_is_trained_on_in_bounded_memory",
    # these compile with an empty cache
    "test_a_long_compilation_is_reported_once_serves_all_shapes_and_is_found_in_the_cache",
    "test_a_prediction_compiles_nothing_of_training",
    "test_a_flipped_bit_anywhere_is_found",
    "test_threads_and_files_that_are_removed_meanwhile",
    "test_an_edited_kernel_is_never_run_from_the_cache_of_a_caller",
    "test_training_compiles_what_the_network_uses_alone",
    # these compile what no other test uses
    "test_a_literal_takes_the_type_of_what_it_meets",
    "test_a_loop_over_float32_computes_in_float32",
    "test_an_activation_that_can_fail_is_refused_by_name",
    "test_copies_know_the_functions",
    "test_fifty_networks_with_the_same_functions_compile_once",
    "test_exp_and_tanh_do_not_call_the_c_library",
    "test_functions_outlive_the_names_they_had",
    "test_networks_with_other_functions_do_not_mix",
    "test_our_own_estimators",
    "test_the_race_is_run_by_the_command",
    "test_jitted_code_refuses_what_python_refuses",
    "test_jitted_code_takes_any_layout",
    "test_out_may_overlap_with_a_factor",
    "test_out_may_overlap_with_z",
    "test_the_kernels_are_called_from_jitted_code",
    "test_what_cannot_fail_is_taken",
    "test_the_python_runs",  # of the README
    # these compile headers of C
    "test_several_files_of_a_program_include_it",
    "test_the_labels_follow_from_the_outputs",
    "test_the_outputs_are_those_of_mbbp",
    "test_the_outputs_are_those_of_the_twin",
    "test_the_program_of_the_readme_classifies_as_the_network_does",
    "test_usual_inputs_of_a_wide_network_differ_by_some_units_in_the_last_place",
    # these train on MNIST
    "test_an_epoch_of_the_cross_entropy_network_is_the_books",
    "test_the_books_first_program_learns_as_in_the_book",
    "test_the_books_network_learns_mnist_as_in_the_book",
}

NIGHTLY = {
    "test_after_it_nothing_is_compiled_also_where_nothing_can_be_written",  # compiles everything
    "test_a_slow_down_of_15_percent_is_found",  # these two compare times, again and again
    "test_no_false_alarm_on_a_loaded_machine",
    "test_every_bad_value_is_refused_by_the_name_of_the_argument",
    "test_they_are_at_least_as_good_as_scikit_learns_defaults",  # on ten data sets, fifteen trainings each
    "test_many_mutated_files_are_read_or_refused",  # 100,000 CSV files
    "test_every_pattern_of_float32_is_right_to_two_units_in_the_last_place",  # 1.1 thousand million numbers
}

ALONE = {
    "test_a_slow_down_of_15_percent_is_found",
    "test_no_false_alarm_on_a_loaded_machine",
    # these compare times: anything that runs beside them would disturb them
    "test_an_epoch_is_far_faster_than_the_books_loop",
    "test_importing_takes_less_than_importing_numba",
    "test_a_first_training_takes_little_more_than_importing_numpy",
    "test_it_is_far_faster_than_the_book",
    "test_the_time_of_a_step_is_that_of_net_fit_timed_by_hand",
    "test_two_cores_train_many_networks_in_far_less_time_than_one",
}

MARKERS = {"slow": SLOW, "nightly": NIGHTLY, "alone": ALONE}

AS_PLAIN_PYTHON = [
    "tests/kernels",
    "tests/test_gradients.py",
    "tests/test_threads.py",
    "tests/test_training.py",
]
"""The tests that also run with the kernels as plain Python. Coverage is measured there: it cannot see compiled code."""

# These compile much, and compiling takes twice as long while coverage is measured. Other tests count the same lines.
UNTRACED = [
    *AS_PLAIN_PYTHON,
    "tests/nielsen/test_overrides.py",
    "tests/test_attributes.py",
    "tests/test_compilation.py",
    "tests/test_custom_optimizers.py",
    "tests/test_in_a_notebook.py",
    "tests/test_notebooks.py",
]
