package fio

import (
	"fmt"
	"strings"

	"github.com/blksh/blksh/verify"
)

// An option is what becomes of one of fio's options in a job: set has it obeyed, why says for what
// reason it changes nothing else here, or refused that and why no job can have it.
type option struct {
	set     func(o *Options, v string) error
	why     string
	refused string
}

// options are those of fio, by name. What fio does not know is refused as
// unknown. The table is made for the first job.
var options = lazy[map[string]option]{make: func() map[string]option {
	return tabulate(
		// Which blocks, in which order.
		honoured("rw readwrite", setDirection),
		honoured("bs blocksize", setBlock),
		honoured("bsrange blocksize_range", setBlockRange),
		honoured("bssplit", setSplit),
		honoured("bs_unaligned blocksize_unaligned",
			flag(func(o *Options) *bool { return &o.BSUnaligned })),
		honoured("bs_is_seq_rand",
			unsupported("0", "block sizes that depend on the order are not supported")),
		honoured("ba blockalign", setBlockAlign),
		honoured("offset fileoffset",
			share(func(o *Options) (*int64, *int) { return &o.Offset, &o.OffsetPercent })),
		honoured("offset_align", size(func(o *Options) *int64 { return &o.OffsetAlign })),
		honoured("offset_increment",
			share(func(o *Options) (
				*int64, *int,
			) {
				return &o.OffsetIncrement, &o.OffsetIncrementPercent
			})),
		honoured("size", share(func(o *Options) (*int64, *int) { return &o.Size, &o.SizePercent })),
		honoured("io_size io_limit",
			share(func(o *Options) (*int64, *int) { return &o.IOSize, &o.IOSizePercent })),
		honoured("filesize", setFileSize),
		honoured("fill_device fill_fs", flag(func(o *Options) *bool { return &o.FillDevice })),
		honoured("number_ios", size(func(o *Options) *int64 { return &o.NumberIOs })),
		honoured("norandommap", flag(func(o *Options) *bool { return &o.NoRandomMap })),
		honoured("random_generator", text(func(o *Options) *string { return &o.Generator })),
		honoured("random_distribution", setDistribution),
		honoured("percentage_random", setPercentRandom),
		honoured("rwmixread", count(func(o *Options) *int { return &o.MixRead })),
		honoured("rwmixwrite", setMixWrite),
		honoured("zonemode", setZoneMode),
		honoured("zonesize", size(func(o *Options) *int64 { return &o.ZoneSize })),
		honoured("zonerange", size(func(o *Options) *int64 { return &o.ZoneRange })),
		honoured("zoneskip", size(func(o *Options) *int64 { return &o.ZoneSkip })),
		honoured("file_append",
			unsupported("0", "writing behind the end of a file is not supported")),

		// What they look like, and where the random numbers come from.
		honoured("verify", setVerify),
		honoured("verify_interval", count(func(o *Options) *int { return &o.Interval })),
		honoured("verify_offset", count(func(o *Options) *int { return &o.HeaderOffset })),
		honoured("verify_pattern", text(func(o *Options) *string { return &o.Pattern })),
		honoured("verify_pattern_interval",
			count(func(o *Options) *int { return &o.PatternInterval })),
		honoured("buffer_compress_percentage", count(func(o *Options) *int { return &o.Compress })),
		honoured("buffer_pattern", text(func(o *Options) *string { return &o.Padding })),
		honoured("randseed", setRandSeed),
		honoured("randrepeat", flag(func(o *Options) *bool { return &o.RandRepeat })),
		honoured("allrandrepeat", flag(func(o *Options) *bool { return &o.AllRandRepeat })),

		// How long, and how.
		honoured("loops", count(func(o *Options) *int { return &o.Loops })),
		honoured("time_based", flag(func(o *Options) *bool { return &o.TimeBased })),
		honoured("runtime timeout", setRuntime),
		honoured("iodepth", count(func(o *Options) *int { return &o.IODepth })),
		honoured("verify_async", count(func(o *Options) *int { return &o.Workers })),
		honoured("do_verify", flag(func(o *Options) *bool { return &o.DoVerify })),
		honoured("verify_only", flag(func(o *Options) *bool { return &o.VerifyOnly })),
		honoured("verify_backlog", size(func(o *Options) *int64 { return &o.Backlog })),
		honoured("serialize_overlap", flag(func(o *Options) *bool { return &o.Serialize })),
		honoured("verify_header_seed", flag(func(o *Options) *bool { return &o.HeaderSeed })),
		honoured("verify_write_sequence", flag(func(o *Options) *bool { return &o.Sequence })),
		honoured("fsync fdatasync", size(func(o *Options) *int64 { return &o.Fsync })),
		honoured("end_fsync fsync_on_close", flag(func(o *Options) *bool { return &o.EndFsync })),
		honoured("trim_percentage", count(func(o *Options) *int { return &o.TrimPercent })),
		honoured("trim_backlog", size(func(o *Options) *int64 { return &o.TrimBacklog })),
		honoured("trim_backlog_batch", size(func(o *Options) *int64 { return &o.TrimBatch })),
		honoured("trim_verify_zero", flag(func(o *Options) *bool { return &o.TrimZero })),
		honoured("direct odirect", flag(func(o *Options) *bool { return &o.Direct })),
		honoured("buffered", not(func(o *Options) *bool { return &o.Direct })),
		honoured("atomic", flag(func(o *Options) *bool { return &o.Direct })),
		honoured("sync", setSync),

		// What ends it and what stays.
		honoured("verify_fatal", flag(func(o *Options) *bool { return &o.StopAtFirst })),
		honoured("verify_dump", flag(func(o *Options) *bool { return &o.Dump })),
		honoured("verify_state_save", flag(func(o *Options) *bool { return &o.StateSave })),
		honoured("verify_state_load", flag(func(o *Options) *bool { return &o.StateLoad })),
		honoured("verify_policy", setPolicy),
		honoured("aux-path", text(func(o *Options) *string { return &o.AuxPath })),

		// The jobs and their files.
		honoured("name", text(func(o *Options) *string { return &o.Name })),
		honoured("thread_number", count(func(o *Options) *int { return &o.Thread })),
		honoured("numjobs", few(func(o *Options) *int { return &o.NumJobs })),
		honoured("stonewall wait_for_previous",
			flag(func(o *Options) *bool { return &o.Stonewall })),
		honoured("filename", setFilename),
		honoured("directory", text(func(o *Options) *string { return &o.Directory })),
		honoured("filename_format", text(func(o *Options) *string { return &o.FilenameFormat })),
		honoured("nrfiles nr_files", few(func(o *Options) *int { return &o.NrFiles })),
		honoured("openfiles", few(func(o *Options) *int { return &o.OpenFiles })),
		honoured("file_service_type", setFileService),
		honoured("kb_base", setKBBase),
		honoured("create_only", unsupported("0", "a job that writes nothing is not supported")),

		rows("ioengine", option{set: setEngine, why: "the engine is the image's"}),
		ignored("a run always goes on",
			"continue_on_error exitall exit_what exitall_on_error max_latency"),
		ignored("verification errors are never ignored", "ignore_error"),
		ignored("verification always replays the job", "experimental_verify"),
		ignored("a backlog is verified whole", "verify_backlog_batch"),
		ignored("workers go where the system puts them",
			"verify_async_cpus cpumask cpus_allowed cpus_allowed_policy numa_cpu_nodes numa_mem_policy nice prio prioclass "+
				"cgroup cgroup_nodelete cgroup_weight uid gid gtod_cpu log_compression_cpus"),
		ignored("blocks are verified in the order of writing", "verifysort verifysort_nr"),
		ignored("the engine is the image's",
			"iodepth_batch iodepth_batch_submit iodepth_batch_complete_min iodepth_batch_complete "+
				"iodepth_batch_complete_max iodepth_low io_submit_mode ioscheduler hipri hipri_percentage fixedbufs registerfiles "+
				"nonvectored force_async sqthread_poll sqthread_poll_cpu uncached cmd_type userspace_reap "+
				"donorname inplace mode hostname port proto uri host cluster_name clustername clientname rbdname pool busy_poll "+
				"http_host http_mode http_verbose https http_user http_pass http_s3_key http_s3_keyid http_s3_region "+
				"http_s3_storage_class http_s3_sse_customer_algorithm http_s3_sse_customer_key http_swift_auth_token "+
				"spdk_conf spdk_json_conf spdk_mem spdk_single_seg enable_sgl enable_vmd initial_zone_reset "+
				"gpu_dev_ids cuda_io rocm_io ramp"),
		ignored("jobs are goroutines", "thread"),
		ignored("each job reports for itself",
			"group_reporting new_group per_job_logs unified_rw_reporting stats disk_util description significant_figures kb_unit unit_base"),
		ignored("only fio measures that",
			"write_bw_log write_lat_log write_iops_log write_hist_log bwavgtime iopsavgtime log_entries log_avg_msec "+
				"log_hist_msec log_hist_coarseness log_max_value log_offset log_prio log_compression log_store_compressed "+
				"log_unix_epoch log_alternate_epoch log_alternate_epoch_clock_id block_error_percentiles clat_percentiles "+
				"lat_percentiles slat_percentiles percentile_list gtod_reduce disable_lat disable_clat disable_slat "+
				"disable_bw_measurement disable_bw clocksource ramp_time error_dump"),
		ignored("the journal of a job here is that of verify_write --journal", "write_iolog"),
		ignored("a job runs as fast as its image",
			"thinktime thinktime_spin thinktime_blocks thinktime_blocks_type thinktime_iotime rate rate_min ratemin "+
				"rate_process rate_cycle ratecycle rate_ignore_thinktime rate_iops rate_iops_min latency_target latency_window "+
				"latency_percentile latency_run startdelay flow_id flow flow_sleep"),
		ignored("verification always makes its data",
			"refill_buffers zero_buffers scramble_buffers buffer_compress_chunk dedupe_percentage dedupe_mode "+
				"dedupe_working_set_percentage dedupe_global"),
		ignored("memory is the image's", "mem iomem iomem_align mem_align lockmem hugepage-size"),
		ignored("caching is the image's",
			"invalidate fadvise_hint write_hint pre_read sync_file_range write_barrier"),
		ignored("files are opened when they are needed, by one job at a time",
			"lockfile unique_filename fallocate create_serialize create_fsync create_on_open allow_file_create overwrite"),
		ignored("what guards devices cannot be turned off by a job", "allow_mounted_write"),
		ignored("files stay", "unlink unlink_each_loop"),
		ignored("no program is run", "exec_prerun exec_postrun"),
		ignored("it is about zones that a device has, and the job about zonemode=strided or none",
			"zonecapacity read_beyond_wp max_open_zones job_max_open_zones ignore_zone_limits zone_reset_threshold zone_reset_frequency"),
		ignored("jobs run one after the other", "wait_for"),
		ignored("verification never writes", "readonly"),
		ignored("it is for jobs that replay a log",
			"read_iolog_chunked replay_no_stall replay_redirect replay_scale replay_align replay_time_scale replay_skip "+
				"merge_blktrace_scalars merge_blktrace_iters"),
		ignored("it is for steady states",
			"steadystate_duration ss_dur steadystate_ramp_time ss_ramp"),

		refused("which requests a log holds is not the job's to say",
			"read_iolog merge_blktrace_file"),
		refused("which files a directory has is not the job's to say", "opendir"),
		refused("offsets of a sequencer are not supported", "rw_sequencer"),
		refused("a job that ends when it is steady ends anywhere; runtime= says when",
			"steadystate ss"),
		refused("its options are not in the file", "profile"),
		refused("blocks are compared here and not by the device", "verify_mode"),
		refused("only a device can make unreadable or zeroed blocks in place of writes",
			"write_mode"),
	)
}}

func honoured(names string, set func(*Options, string) error) map[string]option {
	return rows(names, option{set: set})
}

func ignored(why, names string) map[string]option { return rows(names, option{why: why}) }

func refused(why, names string) map[string]option { return rows(names, option{refused: why}) }

func rows(names string, row option) map[string]option {
	list := map[string]option{}
	for name := range strings.FieldsSeq(names) {
		list[name] = row
	}
	return list
}

// tabulate joins rows. A name that two have is a mistake in this file.
func tabulate(parts ...map[string]option) map[string]option {
	table := map[string]option{}
	for _, part := range parts {
		for name, row := range part {
			if _, twice := table[name]; twice {
				panic("verify: option " + name + " is in the table twice")
			}
			table[name] = row
		}
	}
	return table
}

// Set sets an option by fio's name. The value of a flag may be empty, which is
// 1. word says why an option that fio has changes nothing here, and is empty for
// others.
func (o *Options) Set(name, value string) (word string, err error) {
	blank := value != "" && strings.ContainsRune(" \t", rune(value[0]))
	value = strings.TrimSpace(value)
	row, known := options.get()[name]
	switch {
	case !known:
		return "", fmt.Errorf(
			"option %s is not supported in verification jobs: fio 3.33 to 3.42 has none of that name", name)
	case row.refused != "":
		return "", fmt.Errorf("option %s is not supported in verification jobs: %s", name,
			row.refused)
	}
	if row.set != nil {
		if blank && hasUnit(value) {
			return "", fmt.Errorf("%s= %s: %w", name, verify.Brief(value), errBlank)
		}
		if err := row.set(o, value); err != nil {
			return "", fmt.Errorf("%s=%s: %w", name, verify.Brief(value), err)
		}
	}
	if o.NoData && name == "ioengine" {
		return "its requests move no data, so that the job is left out", nil
	}
	return row.why, nil
}
